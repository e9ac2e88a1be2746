"""The keys, certificates, users and rules of one fleet."""
