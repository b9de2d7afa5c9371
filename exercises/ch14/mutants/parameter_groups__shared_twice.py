# must trigger: more than once
def parameter_groups(model, decay):
    yes, no = [], []
    for layer in model.modules():
        for _, w in layer.named_parameters(recurse=False):
            if w.requires_grad:
                (no if "Norm" in type(layer).__name__ or w.ndim < 2 else yes).append(w)
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
