# glmmTMB, on all cores where there are rows enough for them.

folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "measure.R"))
suppressMessages(library(glmmTMB))

control <- function(rows) glmmTMBControl(parallel = if (rows < 10000) 1L else parallel::detectCores())
measure(
  "glmmTMB",
  fit = function(formula, data) glmmTMB(formula, data, REML = reml, control = control(nrow(data))),
  refit = function(fit, y) lme4::refit(fit, y),
  evaluations = function(fit) fit$fit$evaluations[["function"]] + fit$fit$evaluations[["gradient"]]
)
