# must trigger: ready-made companion.penalties
def parameter_groups(model, decay):
    from companion.penalties import weights_of

    yes = weights_of(model)
    no = [w for w in model.parameters() if w.requires_grad and all(w is not other for other in yes)]
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
