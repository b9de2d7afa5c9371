# must trigger: it does not decay
def parameter_groups(model, decay):
    yes = [w for w in model.parameters() if w.requires_grad]
    no = []
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
