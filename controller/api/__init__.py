"""REST over the controller's decisions: thin routers, one error form."""
