"""What a running model is fed with besides its own samples: a folder, a camera, requests from this machine."""
