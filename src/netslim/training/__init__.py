"""Training: the step, the penalty, schedules, precision, evaluation and a loop that can stop and go on anywhere."""
