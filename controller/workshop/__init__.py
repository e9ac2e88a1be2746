"""The workshop: makes model files from networks, in processes of their own."""
