# must trigger: logits of a thousand make probabilities of 0
def geometric_mean_prediction(logits_per_mask, weights):
    return (weights @ logits_per_mask.softmax(-1).log()).softmax(-1)
