"""The load of very many devices over a few connections, without their agents."""
