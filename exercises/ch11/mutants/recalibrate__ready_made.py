# must trigger: calls the ready-made companion.batchnorm.recalibrate
from companion import batchnorm


def recalibrate(model, batches):
    batchnorm.recalibrate(model, batches)
