# sna's answers for double semi-partialling, of the matrices and permutations in the folder vegan beside this one:
#   Rscript netlm.R <folder vegan> [<folder for netlm.csv>]
# t and p of y in the regression of x on y and z. `rmperm`, which draws netlm's permutations, gives those of
# permutations.csv in turn (inverted: they are of x's items, and here what z leaves of y moves). `drawn` has p of
# netlm's own random permutations. Written with R 4.2 and sna 2.7.
suppressPackageStartupMessages(library(sna))
arguments <- commandArgs(trailingOnly = TRUE)
read <- function(name) as.matrix(read.csv(file.path(arguments[1], paste0(name, ".csv")), header = FALSE))
x <- read("x"); y <- read("y"); z <- read("z")
dimnames(x) <- dimnames(y) <- dimnames(z) <- NULL
ask <- function(reps) netlm(x, list(y, z), mode = "graph", nullhyp = "qapspp", test.statistic = "t-value", reps = reps)
set.seed(1)
drawn <- ask(999)
permutations <- read("permutations") + 1
turn <- 0
given <- function(m) {
  turn <<- turn %% nrow(permutations) + 1
  order <- order(permutations[turn, ])
  m[order, order]
}
assignInNamespace("rmperm", given, "sna")
asked <- ask(nrow(permutations))
# 1 the intercept, 2 y, 3 z; each predictor in turn has all the permutations
write.csv(data.frame(t = format(asked$tstat[2], digits = 15), p = asked$pgreq[2], drawn = drawn$pgreq[2],
                     null = paste(format(asked$dist[, 2], digits = 15, trim = TRUE), collapse = " ")),
          file.path(tail(arguments, 1), "netlm.csv"), row.names = FALSE)
