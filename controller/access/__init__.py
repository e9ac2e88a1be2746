"""Who may ask the controller for what."""
