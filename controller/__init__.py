"""What the fleet should be: registration, prediction, gate, deployments, history."""
