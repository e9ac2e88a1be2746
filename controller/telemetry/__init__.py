"""What devices report, from its arrival to its end: samples, sums by minute and hour, what is kept for how long."""
