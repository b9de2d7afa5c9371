# must trigger: belongs to a normalisation layer
def parameter_groups(model, decay):
    all_of_them = [w for w in model.parameters() if w.requires_grad]
    yes = [w for w in all_of_them if w.ndim > 1]
    no = [w for w in all_of_them if w.ndim < 2]
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
