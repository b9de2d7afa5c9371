# must trigger: you divide by 1 - p
def convert_checkpoint(layers, rates):
    return [(w / max(1 - p, 1e-9), b.clone()) for (w, b), p in zip(layers, rates)]
