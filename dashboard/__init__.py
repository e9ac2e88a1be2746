"""The dashboard: reads REST, draws, asks before it acts."""
