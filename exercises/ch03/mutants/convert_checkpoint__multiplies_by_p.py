# must trigger: you multiply by p
def convert_checkpoint(layers, rates):
    return [(w * p if p else w.clone(), b.clone()) for (w, b), p in zip(layers, rates)]
