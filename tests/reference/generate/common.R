# common.R -- shared functions: exact JSON writer, data export, optimiser, extractors.
# Every script is run with the working directory = the folder that holds data/, cases/, generate/.
options(warn = 1, stringsAsFactors = FALSE, digits = 15,
        contrasts = c("contr.treatment", "contr.poly"))
suppressMessages({
  library(lme4); library(lmerTest); library(nlme); library(jsonlite)
})
ROOT <- normalizePath(Sys.getenv("REF_ROOT", "."))
SCHEMA_VERSION <- 1L
`%||%` <- function(a, b) if (is.null(a)) b else a

## ------------------------------------------------------------------ numbers
fmt17 <- function(x) {                       # shortest text that reads back exactly
  out <- rep("null", length(x)); ok <- is.finite(x)
  if (any(ok)) {
    v <- x[ok]; s <- sprintf("%.15g", v)
    b <- as.numeric(s) != v; if (any(b)) s[b] <- sprintf("%.16g", v[b])
    b <- as.numeric(s) != v; if (any(b)) s[b] <- sprintf("%.17g", v[b])
    out[ok] <- s
  }
  out
}
jstr <- function(s) {
  s <- enc2utf8(as.character(s)); out <- rep("null", length(s)); ok <- !is.na(s)
  t <- s[ok]
  t <- gsub("\\", "\\\\", t, fixed = TRUE); t <- gsub("\"", "\\\"", t, fixed = TRUE)
  t <- gsub("\n", "\\n", t, fixed = TRUE);  t <- gsub("\t", "\\t", t, fixed = TRUE)
  t <- gsub("\r", "\\r", t, fixed = TRUE)
  t <- gsub("[\001-\037\033]", "", t)
  out[ok] <- paste0("\"", t, "\""); out
}
A <- function(x) { if (is.null(x)) return(NULL); structure(list(v = as.vector(x)), class = "jarr") }  # force a JSON array
O <- function(x) {                                                                 # named vector -> object
  n <- names(x); x <- as.list(x); names(x) <- n; x }
atom <- function(x) {
  if (is.factor(x)) x <- as.character(x)
  if (is.logical(x)) { o <- ifelse(x, "true", "false"); o[is.na(x)] <- "null"; return(o) }
  if (is.numeric(x)) return(fmt17(as.numeric(x)))
  jstr(x)
}
toj <- function(x, ind = 0, maxpretty = 3) {
  nl <- if (ind < maxpretty) paste0("\n", strrep(" ", ind + 1)) else ""
  nle <- if (ind < maxpretty) paste0("\n", strrep(" ", ind)) else ""
  if (is.null(x)) return("null")
  if (inherits(x, "jarr")) return(paste0("[", paste(atom(x$v), collapse = ","), "]"))
  if (is.matrix(x)) return(paste0("[", paste(apply(x, 1, function(r) paste0("[", paste(atom(r), collapse = ","), "]")), collapse = ","), "]"))
  if (is.data.frame(x)) x <- lapply(as.list(x), A)
  if (is.list(x)) {
    if (!length(x)) return(if (is.null(names(x))) "[]" else "{}")
    if (!is.null(names(x)))
      return(paste0("{", nl, paste(vapply(seq_along(x), function(i)
        paste0(jstr(names(x)[i]), ": ", toj(x[[i]], ind + 1, maxpretty)), ""), collapse = paste0(",", if (nl == "") " " else nl)), nle, "}"))
    return(paste0("[", paste(vapply(x, toj, "", ind = ind + 1, maxpretty = maxpretty), collapse = if (ind < maxpretty) paste0(",", nl) else ","), "]"))
  }
  a <- atom(x)
  if (length(a) == 1L) a else paste0("[", paste(a, collapse = ","), "]")
}
write_json17 <- function(x, file) writeLines(toj(x), file, useBytes = TRUE)

## ------------------------------------------------------------------ data
export_data <- function(name, df, package, citation, licence, notes, desc, gz = FALSE) {
  df <- as.data.frame(df)
  cols <- lapply(names(df), function(n) {
    x <- df[[n]]
    if (is.character(x)) stop("character column ", n, " in ", name, ": make it a factor")
    list(name = n, type = if (is.ordered(x)) "ordered" else if (is.factor(x)) "factor" else
           if (is.integer(x)) "integer" else if (is.logical(x)) "logical" else "double",
         levels = if (is.factor(x)) A(levels(x)), n_missing = sum(is.na(x)),
         description = unname(desc[n]) %||% "")
  })
  miss <- setdiff(names(df), names(desc)); if (length(miss)) stop(name, ": no description for ", paste(miss, collapse = ","))
  q <- function(s) ifelse(grepl("[,\"\n]", s), paste0("\"", gsub("\"", "\"\"", s), "\""), s)
  txt <- lapply(df, function(x) { s <- if (is.factor(x)) q(as.character(x)) else if (is.logical(x)) as.character(x) else fmt17(as.numeric(x)); s[is.na(x)] <- ""; s })
  lines <- c(paste(q(names(df)), collapse = ","), do.call(paste, c(unname(txt), sep = ",")))
  f <- file.path(ROOT, "data", paste0(name, if (gz) ".csv.gz" else ".csv"))
  con <- if (gz) gzfile(f, "w", compression = 9) else file(f, "w"); writeLines(lines, con); close(con)
  meta <- list(name = name, file = paste0("data/", basename(f)), n_rows = nrow(df), package = package,
               package_version = if (package %in% rownames(installed.packages())) as.character(packageVersion(package)) else NULL,
               citation = citation, licence = licence, notes = notes, columns = cols)
  DATASETS[[name]] <<- meta
  invisible(meta)
}
DATASETS <- list()
write_datasets <- function() {
  write_json17(DATASETS, file.path(ROOT, "data", "datasets.json"))
  L <- c("# Data sources", "",
    "Machine-readable form (types, level order): `datasets.json`. In the CSV files an empty cell is a missing value,",
    "numbers are written so that they read back to exactly the double R used, factor columns hold the labels.",
    "Level order matters (first level = reference level of treatment contrasts) and is NOT recoverable from the CSV; use the orders below or `datasets.json`.", "")
  for (d in DATASETS) {
    L <- c(L, paste0("## ", d$name), "", paste0("- file: `", d$file, "`, rows: ", d$n_rows),
      paste0("- R package: ", d$package, if (!is.null(d$package_version)) paste0(" ", d$package_version)), paste0("- source: ", d$citation),
      paste0("- licence: ", d$licence), if (nzchar(d$notes)) paste0("- notes: ", d$notes), "", "| column | type | meaning | levels in order |", "|---|---|---|---|")
    for (c in d$columns) {
      lv <- c$levels$v
      ls <- if (is.null(lv)) "" else if (length(lv) <= 30) paste(lv, collapse = " < ") else paste0(length(lv), " levels (see datasets.json): ", paste(head(lv, 4), collapse = " < "), " < ...")
      L <- c(L, paste0("| ", c$name, " | ", c$type, " | ", c$description, if (c$n_missing) paste0(" (", c$n_missing, " missing)"), " | ", gsub("|", "\\|", ls, fixed = TRUE), " |"))
    }
    L <- c(L, "")
  }
  writeLines(L, file.path(ROOT, "data", "SOURCES.md"))
}
.schema <- NULL
D <- function(name) {                       # read a dataset back from its CSV: fits see exactly the CSV
  if (is.null(.schema)) .schema <<- jsonlite::fromJSON(file.path(ROOT, "data", "datasets.json"), simplifyVector = FALSE)
  m <- .schema[[name]]; if (is.null(m)) stop("no dataset ", name)
  f <- file.path(ROOT, m$file); con <- if (grepl("gz$", f)) gzfile(f) else f
  raw <- read.csv(con, colClasses = "character", na.strings = "", check.names = FALSE, strip.white = FALSE)
  out <- lapply(m$columns, function(c) { x <- raw[[c$name]]
    switch(c$type, double = as.numeric(x), integer = as.integer(x), logical = as.logical(x),
           factor = factor(x, levels = unlist(c$levels)), ordered = factor(x, levels = unlist(c$levels), ordered = TRUE)) })
  names(out) <- vapply(m$columns, `[[`, "", "name")
  as.data.frame(out, check.names = FALSE)
}

## ------------------------------------------------------------------ optimiser
# Three independent derivative-free runs, the best taken, then Newton steps on Richardson derivatives.
OPTLOG <- list()
tight_opt <- function(fn, par, lower = rep(-Inf, length(par)), upper = rep(Inf, length(par)), control = list(), ...) {
  lower <- rep(lower, length.out = length(par)); upper <- rep(upper, length.out = length(par))
  f <- function(p) fn(as.numeric(p))
  runs <- list(); nv <- 0
  add <- function(tag, r, v) runs[[tag]] <<- list(par = as.numeric(r), val = as.numeric(v))
  if (isTRUE(control$light)) {
    r <- minqa::bobyqa(par, f, lower, upper, control = list(rhoend = 1e-8, maxfun = 1e5)); add("bobyqa", r$par, r$fval)
  } else {
    r <- try(minqa::bobyqa(par, f, lower, upper, control = list(rhoend = 1e-9, maxfun = 1e5)), silent = TRUE)
    if (!inherits(r, "try-error")) add("bobyqa", r$par, r$fval)
    r <- try(lme4::nloptwrap(par, f, lower, upper, control = list(xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 20000)), silent = TRUE)
    if (!inherits(r, "try-error")) add("nloptwrap", r$par, r$fval)
    if (all(is.infinite(lower) | lower == 0)) {
      st <- pmax(lower, par * 0.35 + ifelse(par == 0, 0.05, 0))
      r <- try(lme4::Nelder_Mead(f, st, lower, upper, control = list(maxfun = 40000, xst = rep(0.02, length(par)), xt = rep(1e-9, length(par)), FtolAbs = 1e-11, FtolRel = 1e-15)), silent = TRUE)
      if (!inherits(r, "try-error")) add("Nelder_Mead", r$par, r$fval)
    }
  }
  vals <- vapply(runs, `[[`, 0, "val"); b <- runs[[which.min(vals)]]
  p <- b$par; v <- f(p); g <- NA
  r <- try(minqa::bobyqa(p, f, lower, upper, control = list(rhobeg = 1e-3, rhoend = 1e-10, maxfun = 1e5)), silent = TRUE)
  if (!inherits(r, "try-error") && r$fval < v) { p <- r$par; v <- r$fval }
  # snap to the boundary when that is no worse
  snap <- which(is.finite(lower) & p > lower & p - lower < 1e-4)
  for (i in snap) { q <- p; q[i] <- lower[i]; fv <- f(q); if (fv <= v + 1e-10) { p <- q; v <- fv } }
  free <- which(!(p <= lower + 1e-12) & !(p >= upper - 1e-12))
  if (length(free)) for (it in 1:3) {
    ff <- function(z) { q <- p; q[free] <- z; f(pmax(lower, q)) }
    # Richardson steps must stay inside the bounds
    if (any(p[free] - lower[free] < 2e-3 * pmax(abs(p[free]), .1) & is.finite(lower[free]))) break
    g1 <- try(numDeriv::grad(ff, p[free]), silent = TRUE); H <- try(numDeriv::hessian(ff, p[free]), silent = TRUE)
    if (inherits(g1, "try-error") || inherits(H, "try-error") || any(!is.finite(g1)) || any(!is.finite(H))) break
    s <- try(solve(H, g1), silent = TRUE); g <- max(abs(g1))
    if (inherits(s, "try-error") || any(eigen((H + t(H)) / 2, only.values = TRUE)$values <= 0)) break
    if (max(abs(s)) > 1e-2) break
    q <- p; q[free] <- p[free] - s; if (any(q < lower)) break
    fv <- f(q); if (!is.finite(fv) || fv > v + 1e-8) break
    p <- q; v <- fv
    if (max(abs(s)) < 1e-9) break
  }
  v <- f(p)
  OPTLOG[[length(OPTLOG) + 1]] <<- list(value = v, par = A(p), max_abs_gradient_before_last_step = g,
     independent_runs = lapply(runs, function(r) list(value = r$val, excess_over_best = r$val - v, max_abs_par_diff = max(abs(r$par - p)))))
  list(par = p, fval = v, convergence = 0, message = "tight_opt", feval = NA_integer_)
}
fast_opt <- function(fn, par, lower = -Inf, upper = Inf, control = list(), ...) tight_opt(fn, par, lower, upper, list(light = TRUE))
CTL  <- lmerControl(optimizer = "tight_opt", check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore", calc.derivs = TRUE)
GCTL <- glmerControl(optimizer = "tight_opt", check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore", tolPwrss = 1e-11, nAGQ0initStep = TRUE)

## ------------------------------------------------------------------ case plumbing
FAIL <- character(); NOTES <- character(); CASE <- ""
try_q <- function(what, expr) {             # a quantity: value or NULL (with the error noted)
  w <- character()
  r <- withCallingHandlers(try(expr, silent = TRUE),
     warning = function(e) { w <<- c(w, conditionMessage(e)); invokeRestart("muffleWarning") },
     message = function(e) { invokeRestart("muffleMessage") })
  if (length(w)) NOTES <<- unique(c(NOTES, paste0(what, ": warning: ", unique(w))))
  if (inherits(r, "try-error")) {
    msg <- paste0(what, ": not available: ", gsub("\\s+", " ", as.character(r)))
    NOTES <<- c(NOTES, msg); FAIL <<- c(FAIL, paste(CASE, msg)); return(NULL) }
  r
}
versions <- function(pk) c(list(R = R.version.string, platform = R.version$platform,
     blas = basename(extSoftVersion()[["BLAS"]]), lapack = La_version()),
     lapply(setNames(pk, pk), function(p) as.character(packageVersion(p))))
f2s <- function(f) gsub("\\s+", " ", paste(deparse(f, width.cutoff = 500), collapse = " "))
RUN_ONLY <- Sys.getenv("REF_ONLY", "")
run_case <- function(case, fun) {
  if (nzchar(RUN_ONLY) && !grepl(RUN_ONLY, case)) return(invisible())
  CASE <<- case; NOTES <<- character(); OPTLOG <<- list(); t0 <- proc.time()[[3]]
  r <- try(fun(), silent = TRUE)
  if (inherits(r, "try-error")) { FAIL <<- c(FAIL, paste(case, "CASE FAILED:", as.character(r))); cat("FAILED", case, as.character(r), "\n"); return(invisible()) }
  r$notes <- A(NOTES)
  write_json17(r, file.path(ROOT, "cases", paste0(case, ".json")))
  cat(sprintf("%-45s %6.1fs %s\n", case, proc.time()[[3]] - t0, if (length(NOTES)) paste0("[", length(NOTES), " notes]") else ""))
}
finish <- function(tag) { if (nzchar(RUN_ONLY)) { cat(FAIL, sep = "\n"); return(invisible()) }; writeLines(FAIL, file.path(ROOT, "generate", paste0("failures_", tag, ".log"))) }

clean_num <- function(l) { l <- unlist(l); l <- l[!is.na(l)]; names(l) <- sub("\\..*$", "", names(l)); O(l) }
head_vec <- function(x, n = 60) list(n = length(x), n_missing = sum(is.na(x)), head = A(utils::head(unname(as.numeric(x)), n)),
    sum = sum(x, na.rm = TRUE), sum_sq = sum(as.numeric(x)^2, na.rm = TRUE))
coef_tab <- function(ct) { ct <- as.matrix(ct); c(list(names = A(rownames(ct))), setNames(lapply(seq_len(ncol(ct)), function(j) A(ct[, j])), colnames(ct))) }
aov_tab <- function(a) { a <- as.data.frame(a); c(list(terms = A(rownames(a))), lapply(as.list(a), A)) }
named_mat <- function(M) { M <- as.matrix(M); list(row_names = A(rownames(M)), col_names = A(colnames(M)), values = unname(M)) }
col_tab <- function(d) { d <- as.data.frame(d); lapply(as.list(d), function(x) A(if (is.factor(x)) as.character(x) else x)) }
newdata_json <- function(nd) lapply(as.list(nd), function(x) A(if (is.factor(x)) as.character(x) else x))

auto_newdata <- function(dat, formula, groups, weights = NULL) {
  v <- intersect(all.vars(formula), names(dat)); cc <- dat[stats::complete.cases(dat[, unique(v), drop = FALSE]), , drop = FALSE]
  n <- nrow(cc); i <- unique(round(seq(1, n, length.out = 6)))
  nd <- cc[i, v, drop = FALSE]; rownames(nd) <- NULL
  resp <- all.vars(formula[[2]]); fixedv <- all.vars(reformulas_nobars(formula))
  num <- setdiff(names(nd)[vapply(nd, is.numeric, NA)], c(resp, groups))
  ints <- vapply(nd[num], function(x) all(x == round(x)), NA)
  for (c in groups) nd[[c]] <- as.character(nd[[c]])
  pure <- setdiff(groups, fixedv)
  extra <- nd[c(1, nrow(nd)), , drop = FALSE]; for (c in pure) extra[[c]] <- paste0("NEW_", c)
  nd <- rbind(nd, extra); nd <- nd[, setdiff(names(nd), resp), drop = FALSE]; rownames(nd) <- NULL
  nd
}
reformulas_nobars <- function(f) lme4::nobars(f)
group_vars <- function(f) unique(unlist(lapply(lme4::findbars(f), function(b) all.vars(b[[3]]))))

varcorr_json <- function(m) {
  vc <- VarCorr(m); nm <- names(vc)
  lapply(seq_along(nm), function(i) { x <- vc[[i]]; V <- matrix(as.numeric(x), nrow(x), dimnames = dimnames(x))
    list(term = nm[i], group = sub("\\.[0-9]+$", "", nm[i]), names = A(colnames(x)), var = A(diag(V)), sd = A(attr(x, "stddev")),
         cov = unname(V), corr = unname(matrix(attr(x, "correlation"), nrow(V)))) })
}
ranef_json <- function(m, maxlev = 300) {
  re <- ranef(m, condVar = TRUE)
  out <- lapply(names(re), function(g) { r <- re[[g]]; pv <- attr(r, "postVar"); n <- nrow(r); k <- min(n, maxlev); ii <- seq_len(k)
    cv <- if (is.null(pv)) NULL else if (is.list(pv)) list(layout = "list, one entry per random-effect term of this factor; each [level][i][j]",
              terms = unname(lapply(pv, function(a) unname(lapply(ii, function(i) as.matrix(a[, , i]))))))
          else list(layout = "[level][i][j]", values = unname(lapply(ii, function(i) matrix(pv[, , i], dim(pv)[1]))))
    list(group = g, n_levels = n, n_listed = k, levels = A(rownames(r)[ii]), columns = A(colnames(r)), values = unname(as.matrix(r)[ii, , drop = FALSE]),
         column_sum = A(colSums(r)), column_sum_sq = A(colSums(r^2)), condvar = cv) })
  out
}
predict_json <- function(m, nd, type = NULL) {
  bad <- names(nd)
  p1 <- try_q("predict re.form=NULL", predict(m, newdata = nd, re.form = NULL, allow.new.levels = TRUE))
  p0 <- try_q("predict re.form=NA", predict(m, newdata = nd, re.form = NA, allow.new.levels = TRUE))
  o <- list(newdata = newdata_json(nd), new_levels = "values NEW_<group> are levels not in the fit: their random effects are zero (allow.new.levels=TRUE)",
            conditional = A(p1), population = A(p0))
  if (!is.null(type)) {
    o$conditional_response <- A(try_q("predict response", predict(m, newdata = nd, re.form = NULL, allow.new.levels = TRUE, type = "response")))
    o$population_response <- A(try_q("predict response NA", predict(m, newdata = nd, re.form = NA, allow.new.levels = TRUE, type = "response"))) }
  o
}
spec_data <- function(name, dat) list(name = name, file = .schema[[name]]$file, n_rows = nrow(dat))
mm_head <- function(X, n = 6) list(col_names = A(colnames(X)), n_row = nrow(X), head = unname(as.matrix(X)[seq_len(min(n, nrow(X))), , drop = FALSE]), col_sum = A(colSums(X)), col_sum_sq = A(colSums(X^2)))
emm_json <- function(m, emm, df_methods = c("kenward-roger", "satterthwaite", "asymptotic"), lmm = TRUE, type = NULL) {
  lapply(emm, function(sp) {
    one <- function(dm) {
      e <- if (lmm) try_q("emmeans", emmeans::emmeans(m, sp, lmer.df = dm)) else try_q("emmeans", emmeans::emmeans(m, sp))
      if (is.null(e)) return(NULL)
      pr <- if (length(all.vars(sp)) && nrow(as.data.frame(e)) > 1) { pp <- pairs(e)
        list(unadjusted = col_tab(as.data.frame(summary(pp, adjust = "none", infer = TRUE))),
             tukey = col_tab(as.data.frame(summary(pp, adjust = "tukey"))),
             bonferroni = col_tab(as.data.frame(summary(pp, adjust = "bonferroni"))),
             holm = col_tab(as.data.frame(summary(pp, adjust = "holm")))) }
      r <- list(spec = f2s(sp), df_method = dm, emmeans = col_tab(as.data.frame(summary(e, infer = TRUE))), pairs = pr)
      if (!is.null(type)) r$response_scale <- col_tab(as.data.frame(summary(e, type = "response")))
      r$linfct <- named_mat(e@linfct); r
    }
    if (lmm) setNames(lapply(df_methods, one), gsub("-", "_", df_methods)) else list(default = one("default"))
  })
}

## ------------------------------------------------------------------ LMM
LMM <- function(case, data, formula, REML = TRUE, weights = NULL, offset = NULL, contrasts = NULL, subset = NULL, desc = "",
                anova = NULL, kr = TRUE, satt = TRUE, ranova = TRUE, profile = FALSE, influence = NULL, influence_obs = FALSE, lrt = NULL, emm = NULL,
                perf = TRUE, newdata = NULL, na_action = "na.omit", condvar = TRUE, opt = "tight_opt", emm_df = c("kenward-roger", "satterthwaite", "asymptotic"), hat = NULL, maxlev = 300) {
  run_case(case, function() {
    dat <<- D(data); d0 <- dat
    if (!is.null(subset)) dat <<- dat[eval(parse(text = subset), dat), , drop = FALSE]
    ctl <- CTL; ctl$optimizer <- opt; CTLX <<- ctl
    args <- list(formula, data = quote(dat), REML = REML, control = quote(CTLX))
    if (!is.null(weights)) args$weights <- as.name(weights)
    if (!is.null(offset)) args$offset <- as.name(offset)
    if (!is.null(contrasts)) { CONTR <<- contrasts; args$contrasts <- quote(CONTR) }
    cl <- as.call(c(quote(lmerTest::lmer), args))
    m <- withCallingHandlers(eval(cl, globalenv()), warning = function(w) { NOTES <<- unique(c(NOTES, paste("fit: warning:", conditionMessage(w)))); invokeRestart("muffleWarning") },
                             message = function(w) { NOTES <<- unique(c(NOTES, paste("fit: message:", trimws(conditionMessage(w))))); invokeRestart("muffleMessage") })
    olog <- OPTLOG[[length(OPTLOG)]]
    m0 <- as(m, "lmerMod")
    X <- getME(m, "X"); n <- nobs(m); big <- n > 4000; th <- getME(m, "theta"); dc <- getME(m, "devcomp")
    if (is.null(hat)) hat <- n <= 1000
    p <- length(fixef(m)); V <- as.matrix(vcov(m0)); se <- sqrt(diag(V))
    allnm <- names(fixef(m, add.dropped = TRUE)); dropped <- setdiff(allnm, names(fixef(m)))
    r <- list(schema_version = SCHEMA_VERSION, case = case, kind = "lmm", description = desc, data = spec_data(data, d0),
      r_call = gsub("CTLX", "<tight control>", f2s(cl)),
      spec = list(formula = f2s(formula), method = if (REML) "REML" else "ML", family = "gaussian", link = "identity", weights = weights, offset = offset, subset = subset,
                  contrasts = contrasts, na_action = na_action),
      versions = versions(c("lme4", "lmerTest", "Matrix", "pbkrtest", "emmeans", "performance")),
      dims = list(nobs = n, n_dropped_na = nrow(dat) - n, p = p, rank_deficient_dropped = A(dropped), n_random_effects = length(getME(m, "b")), n_theta = length(th), ngroups = O(ngrps(m))),
      design = mm_head(X),
      fixed = list(names = A(names(fixef(m))), estimate = A(fixef(m)), se = A(se), t = A(fixef(m) / se), vcov = unname(V), corr = unname(cov2cor(V))),
      sigma = sigma(m), residual_variance = sigma(m)^2, theta = list(names = A(names(th)), values = A(th)), varcorr = varcorr_json(m), is_singular = isSingular(m),
      criteria = local({ ll <- logLik(m0); list(loglik = as.numeric(ll), loglik_is_reml = REML, reml_criterion = if (REML) as.numeric(REMLcrit(m0)), deviance = if (!REML) as.numeric(deviance(m0)), df = attr(ll, "df"),
          AIC = AIC(m0), BIC = BIC(m0), df_residual = df.residual(m0), loglik_ml_at_these_estimates = as.numeric(logLik(m0, REML = FALSE)), loglik_reml_at_these_estimates = as.numeric(logLik(m0, REML = TRUE))) }),
      devcomp = O(dc$cmp),
      optimizer = olog)
    if (REML) { OPTLOG <<- list(); mm <- try_q("ML refit", update(m0, REML = FALSE)); if (!is.null(mm)) r$ml_refit <- list(loglik = as.numeric(logLik(mm)), deviance = as.numeric(deviance(mm)), AIC = AIC(mm), BIC = BIC(mm), df = attr(logLik(mm), "df"),
        fixed = A(fixef(mm)), se = A(sqrt(diag(as.matrix(vcov(mm))))), theta = A(getME(mm, "theta")), sigma = sigma(mm)) } else mm <- m0
    r$ranef <- ranef_json(m0, maxlev)
    r$fitted <- head_vec(fitted(m0)); r$fitted_fixed <- head_vec(as.numeric(X %*% fixef(m)) + getME(m, "offset"))
    r$residuals <- head_vec(residuals(m0)); r$residuals_pearson <- head_vec(residuals(m0, type = "pearson", scaled = TRUE))
    nd <- newdata %||% auto_newdata(dat, formula, group_vars(formula)); if (is.function(nd)) nd <- nd(dat)
    if (is.null(offset)) r$predict <- predict_json(m0, nd)
    if (satt) r$summary_satterthwaite <- { s <- try_q("Satterthwaite summary", coef(summary(m))); if (!is.null(s)) coef_tab(s) }
    if (kr && REML) { s <- try_q("KR summary", coef(summary(m, ddf = "Kenward-Roger"))); if (!is.null(s)) r$summary_kenward_roger <- coef_tab(s)
       a <- try_q("KR vcov", as.matrix(pbkrtest::vcovAdj(m0))); if (!is.null(a)) r$vcov_kenward_roger <- unname(a) }
    has_terms <- length(attr(terms(m0), "term.labels")) > 0
    if (anova %||% has_terms) {
      an <- list()
      for (ty in c("III", "II", "I")) { if (satt) { a <- try_q(paste("anova", ty, "Satt"), anova_q(m, ty, "Satterthwaite")); if (!is.null(a)) an[[paste0("type", ty, "_satterthwaite")]] <- aov_tab(a) }
        if (kr && REML) { a <- try_q(paste("anova", ty, "KR"), anova_q(m, ty, "Kenward-Roger")); if (!is.null(a)) an[[paste0("type", ty, "_kenward_roger")]] <- aov_tab(a) } }
      an$lme4_sequential <- { a <- try_q("anova lme4", stats::anova(m0)); if (!is.null(a)) aov_tab(a) }
      r$anova <- an
    }
    r$ci_wald <- { a <- try_q("confint Wald", confint(m0, method = "Wald")); if (!is.null(a)) coef_tab(a[!is.na(a[, 1]), , drop = FALSE]) }
    if (profile) { prm <- mm; a <- try_q("confint profile", { pr <- stats::profile(prm, optimizer = "bobyqa", signames = FALSE, devtol = 1e-5); confint(pr) })
      if (!is.null(a)) r$ci_profile <- c(list(fitted_by = "ML", note = "profile likelihood of the ML fit (lme4 always profiles ML); null = bound not found / on the boundary"), coef_tab(a)) }
    if (!is.null(lrt)) r$lrt <- lapply(lrt, function(f0) { OPTLOG <<- list(); m1 <- try_q("LRT fit", update(mm, formula = f0)); if (is.null(m1)) return(NULL)
        a <- anova(m1, mm); list(null_formula = f2s(f0), alternative_formula = f2s(formula), method = "ML", n_par = A(a$npar), loglik = A(a$logLik), deviance = A(a$deviance), AIC = A(a$AIC), BIC = A(a$BIC), chisq = a$Chisq[2], df = a$Df[2], p = a$`Pr(>Chisq)`[2]) })
    if (ranova) { OPTLOG <<- list(); a <- try_q("ranova", lmerTest::ranova(m)); if (!is.null(a)) r$ranova <- aov_tab(a) }
    if (hat) { r$hatvalues <- { h <- try_q("hatvalues", hatvalues(m0)); if (!is.null(h)) c(head_vec(h)) }
      r$cooks_distance_obs <- { h <- try_q("cooks", cooks.distance(m0)); if (!is.null(h)) head_vec(h) } }
    if (!is.null(influence)) r$influence_groups <- lapply(setNames(influence, influence), function(g) { CTLX <<- ctl; CTLX$optimizer <<- "fast_opt"
        a <- try_q("influence", { ii <- influence_del(d0 = dat, cl, g, m0); ii }); CTLX <<- ctl; a })
    r$repca <- { a <- try_q("rePCA", rePCA(m0)); if (!is.null(a)) lapply(a, function(z) list(sdev = A(z$sdev), rotation = unname(z$rotation))) }
    if (perf) { a <- try_q("icc", performance::icc(m0)); if (is.list(a)) r$icc <- clean_num(a) else if (!is.null(a)) NOTES <<- c(NOTES, "icc: performance::icc returned NA")
      a <- try_q("icc by group", performance::icc(m0, by_group = TRUE)); if (is.data.frame(a)) r$icc_by_group <- col_tab(a)
      a <- try_q("r2", performance::r2_nakagawa(m0)); if (is.list(a)) r$r2_nakagawa <- clean_num(a) }
    if (!is.null(emm)) r$emmeans <- emm_json(m, emm, df_methods = if (kr && REML) emm_df else setdiff(emm_df, "kenward-roger"))
    r
  })
}
anova_q <- function(m, type, ddf) as.data.frame(anova(m, type = type, ddf = ddf))
# case deletion by group, with full re-fitting (own loop; same quantity as lme4:::influence.merMod)
influence_del <- function(d0, cl, g, m0) {
  mf <- model.frame(m0); grp <- if (g %in% names(d0)) d0[[g]] else stop("no column ", g); lv <- levels(factor(grp)); full <- d0
  V <- as.matrix(vcov(m0)); b <- fixef(m0); p <- length(b); out <- list(); cook <- numeric(); B <- matrix(NA, length(lv), p); TH <- list(); S <- numeric()
  DB <- B
  for (i in seq_along(lv)) { dat <<- full[grp != lv[i], , drop = FALSE]
    mi <- suppressMessages(suppressWarnings(eval(cl, globalenv()))); B[i, ] <- fixef(mi); TH[[i]] <- getME(mi, "theta"); S[i] <- sigma(mi)
    dlt <- b - fixef(mi); cook[i] <- as.numeric(dlt %*% solve(V, dlt)) / p; DB[i, ] <- dlt / sqrt(diag(as.matrix(vcov(as(mi, "lmerMod"))))) }
  dat <<- full
  list(group = g, definition = "full refit without the group; dfbeta = full minus deleted; dfbetas = dfbeta / se of deleted fit; cooks_distance = dfbeta' V^-1 dfbeta / p with V the full-fit vcov (classical definition); cooks_distance_lme4 = the same times (G - p)/G, G groups, which is what lme4 1.1-31 cooks.distance(influence(m, group)) prints; lme4 prints dfbeta and dfbetas with the OPPOSITE sign (deleted minus full)",
       deleted_level = A(lv), fixef_deleted = B, dfbeta = unname(matrix(b, length(lv), p, byrow = TRUE) - B), dfbetas = DB, cooks_distance = A(cook), cooks_distance_lme4 = A(cook * (length(lv) - p) / length(lv)), theta_deleted = do.call(rbind, TH), sigma_deleted = A(S))
}
