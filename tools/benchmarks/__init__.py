"""What ``tools/benchmark.py`` measures: a module for each subject, and the measuring itself."""
