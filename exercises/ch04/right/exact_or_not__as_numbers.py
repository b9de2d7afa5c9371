exact = {letter: int(letter < "d") for letter in "fedcba"}
