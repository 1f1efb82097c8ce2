"""Residuals that correlate over time and vary unequally, by generalised least squares."""

import multilevel as ml

teeth = ml.datasets.orthodont()  # a distance in the face of 27 children at four ages
call = {"groups": "Subject", "time": "age"}
growth = ml.gls("distance ~ age * Sex", teeth, residual=ml.Residual("ar1", var="Sex"), **call)
print(growth, "\n")
print(growth.varcorr().round(3), "\n")

structures = ["exchangeable", "ar1", "toeplitz", "unstructured"]
fits = [growth.update(residual=ml.Residual(corr, var="Sex")) for corr in structures]
print(ml.compare(fits, names=structures), "\n")
print("Slopes with degrees of freedom by Satterthwaite:")
print(fits[0].emtrends("Sex", var="age", df="satterthwaite"))

sleep = ml.datasets.sleepstudy()  # reaction times of 18 people on ten days
reaction = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep, residual=ml.Residual("ar1", time="Days"))
print("\n", reaction, "\n", sep="")
print(reaction.residual_parameters().round(3), "\n")
plain = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
print(ml.compare(plain, reaction, names=["independent", "ar1"]))
