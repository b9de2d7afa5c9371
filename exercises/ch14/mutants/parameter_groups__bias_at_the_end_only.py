# must trigger: is a bias: it does not decay
def parameter_groups(model, decay):
    yes, no, seen = [], [], set()
    for layer in model.modules():
        for n, w in layer.named_parameters(recurse=False):
            if id(w) in seen or not w.requires_grad:
                continue
            seen.add(id(w))
            norm = "Norm" in type(layer).__name__
            (no if norm or n.endswith("bias") else yes).append(w)
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
