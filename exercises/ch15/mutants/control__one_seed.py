# must trigger: of 24 trainings are missing
def control(lab):
    lab.predict("+")
    d = lab.train(0.1, lab.seeds[0]) - lab.train(0, lab.seeds[0])
    return "+" if d > 0 else "-"
