def geometric_mean_prediction(logits_per_mask, weights):
    averaged = torch.einsum("mc,m->c", logits_per_mask, weights)
    return torch.softmax(averaged, -1)
