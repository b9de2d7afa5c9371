# must trigger: return "+", "-" or "0"
def control(lab):
    lab.predict("0")
    d = torch.tensor([lab.train(0.1, s) - lab.train(0, s) for s in lab.seeds])
    return "gain" if d.mean() > 0 else "loss"
