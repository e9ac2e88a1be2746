"""What a model will cost a device, before it runs there."""
