"""The models that can be deployed: what they are, where their bytes lie, and how the shipped ones were made."""
