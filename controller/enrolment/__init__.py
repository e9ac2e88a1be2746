"""How devices get their credentials, and lose them."""
