# must trigger: logits of a thousand make probabilities of 0
def geometric_mean_prediction(logits_per_mask, weights):
    product = (logits_per_mask.softmax(-1) ** weights[:, None]).prod(0)
    return product / product.sum()
