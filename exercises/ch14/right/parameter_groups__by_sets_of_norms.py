def parameter_groups(model, decay):
    norms = {id(w) for layer in model.modules() if "Norm" in type(layer).__name__ for w in layer.parameters()}
    trained = [w for w in model.parameters() if w.requires_grad]
    stays = [w.ndim < 2 or id(w) in norms for w in trained]
    yes = [w for w, stay in zip(trained, stays) if not stay]
    no = (w for w, stay in zip(trained, stays) if stay)
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]
