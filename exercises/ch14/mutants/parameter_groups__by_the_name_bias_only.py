# must trigger: belongs to a normalisation layer
def parameter_groups(model, decay):
    named = [(n, w) for n, w in model.named_parameters() if w.requires_grad]
    yes = [w for n, w in named if "bias" not in n]
    no = [w for n, w in named if "bias" in n]
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
