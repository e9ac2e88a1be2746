"""Alerts: rules over what the fleet tells, what they find on each device, and who is told."""
