# must trigger: calls the ready-made companion.uncertainty
from companion.uncertainty import mc_predict


def mc_passes(model, x, samples):
    return mc_predict(model, x, samples, keep_samples=True).samples
