# must trigger: calls the ready-made companion.ensembles.geometric_mean
from companion.ensembles import geometric_mean


def geometric_mean_prediction(logits_per_mask, weights):
    return geometric_mean(logits_per_mask, weights)
