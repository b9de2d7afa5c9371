# must trigger: calls the ready-made companion.batchnorm.predicted_shift
from companion.batchnorm import predicted_shift as ready


def layer_ratio(weight, mean, variance, correlation, p):
    return ready(p, mean=mean, variance=variance, weight=weight, correlation=correlation)
