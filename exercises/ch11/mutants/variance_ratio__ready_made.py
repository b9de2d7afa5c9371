# must trigger: calls the ready-made companion.batchnorm.predicted_shift
from companion.batchnorm import predicted_shift


def variance_ratio(mean, variance, p):
    return predicted_shift(p, mean=mean, variance=variance)
