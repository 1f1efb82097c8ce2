# glmmTMB, on all cores where there are rows enough for them.

folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "measure.R"))
suppressMessages(library(glmmTMB))

control <- function(rows) glmmTMBControl(parallel = if (rows < 10000) 1L else parallel::detectCores())
measure(
  "glmmTMB",
  # Its refit evaluates the call again: what the call names must be found then.
  fit = function(formula, data) {
    assign("measured_data", data, globalenv())
    eval(bquote(glmmTMB(.(formula), measured_data, .(family), REML = .(reml), control = .(control(nrow(data))))))
  },
  refit = function(fit, y) lme4::refit(fit, y),
  evaluations = function(fit) fit$fit$evaluations[["function"]] + fit$fit$evaluations[["gradient"]]
)
