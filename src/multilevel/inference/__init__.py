"""What can be concluded from a record: variances, intervals, predictions. Functions of arrays and records."""
