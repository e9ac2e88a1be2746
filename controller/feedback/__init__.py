"""What was measured, beside what was predicted, and what is learnt from it."""
