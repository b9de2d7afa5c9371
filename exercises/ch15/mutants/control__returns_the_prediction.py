# must trigger: A prediction alone is no verdict
def control(lab):
    lab.predict("+")
    return "+"
