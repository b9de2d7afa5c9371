# must trigger: calls the ready-made companion.experiments
from companion.experiments import mc_dropout


def linear_spread(X, y, x, p):
    return mc_dropout.linear_spread(mc_dropout.dropout_ridge(X, y, p), x, p)
