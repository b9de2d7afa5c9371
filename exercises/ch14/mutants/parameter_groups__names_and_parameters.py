# must trigger: are no parameters of the model
def parameter_groups(model, decay):
    named = [(n, w) for n, w in model.named_parameters() if w.requires_grad]
    yes = [pair for pair in named if pair[1].ndim > 1]
    no = [pair for pair in named if pair[1].ndim < 2]
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
