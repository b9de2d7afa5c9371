# must trigger: calls the ready-made companion.batchnorm.measure_shift
from companion.batchnorm import measure_shift


def variance_shift(model, batches):
    return [row.running_ratio for row in measure_shift(model, batches)]
