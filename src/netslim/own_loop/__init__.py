"""Network slimming in a training loop that is not netslim's: the penalty, what a pruning breaks, rounds of pruning."""
