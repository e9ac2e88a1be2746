"""Brings measurements that people already have into the columns of a benchmark, and says what it did to each row."""
