/**
 * Imports an XGBoost model as a part of an artefact: from `save_model("x.json")` (1.6 and later) or from
 * `dump_model("x.json", with_stats=True, dump_format="json")`. Margins agree up to the rounding of XGBoost's 32-bit sums;
 * splits are converted exactly, including the rounding of values to 32 bits. Over 300 lines because both formats share the checks
 * and the conversion of nodes.
 */
import * as z from "zod"
import type { GbdtModel, ModelFeature } from "../scoring/model/artefact.ts"
import { LEAF, prepareForest } from "../scoring/model/forest.ts"
import { InvalidArtefact } from "../scoring/model/invalid-artefact.ts"
import { largestBelow } from "./float-threshold.ts"
import { type PackedNode, packNodes } from "./gbdt/pack.ts"

/** The file is not an XGBoost model, or not one of trees for log loss. The message says why. */
export class CannotImport extends Error {
  override readonly name = "CannotImport"
}

export type XgboostImport = {
  /** In the order of the model's inputs. */
  readonly features: ModelFeature[]
  readonly model: GbdtModel
  readonly trees: number
  /** Trees in the file; more than `trees` if training continued after the best iteration. */
  readonly treesInFile: number
}

export type XgboostOptions = {
  /** The features by name; required for categories, whose codes are indices in `levels`. */
  readonly features?: readonly ModelFeature[]
  /** A probability. Required only for a dump; a saved model contains it. XGBoost's default was 0.5 before 2.0. */
  readonly baseScore?: number
  /** All trees, as `Booster.predict` uses; otherwise those up to the best iteration, as scikit-learn's classes use. */
  readonly allTrees?: boolean
}

/** A node as in the file: `yes` is taken by values below the threshold, or by the listed categories. */
type Source = {
  readonly cover: number
  readonly split: {
    readonly input: number
    readonly threshold: number
    readonly categories: readonly number[] | null
    readonly yes: number
    readonly no: number
    readonly isMissingYes: boolean
  } | null
  readonly value: number
}

/** Imports the trees and features of a file's text; throws CannotImport if that is not possible. */
export function importXgboost(text: string, options: XgboostOptions = {}): XgboostImport {
  const document = parseText(text)
  const isDump = Array.isArray(document)
  const source = isDump ? readDump(document, options) : readSaved(document, options)
  const packed = source.trees.map((tree) => placeNodes(tree, source.features))
  const model = packNodes(source.base, packed, source.features)
  try {
    prepareForest(model, source.features)
  } catch (error) {
    if (error instanceof InvalidArtefact) throw new CannotImport(`the trees do not hold together: ${error.message}`)
    throw error
  }
  return { features: source.features, model, trees: packed.length, treesInFile: source.treesInFile }
}

/** Beyond the largest float, so that rounding to a float gives infinity again. */
const INFINITE: Readonly<Record<string, string>> = {
  Infinity: "3.5e38",
  inf: "3.5e38",
  "-Infinity": "-3.5e38",
  "-inf": "-3.5e38",
}

/** XGBoost writes NaN as the threshold of a category and may write infinities, which are not valid JSON. */
function parseText(text: string): unknown {
  const token = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|nan|Infinity|inf)\b/g
  try {
    return JSON.parse(text.replace(token, (found) => (found.startsWith('"') ? found : (INFINITE[found] ?? "null"))))
  } catch (error) {
    throw new CannotImport("the file is not JSON; save the model under a name that ends in .json", { cause: error })
  }
}

const count = z.coerce.number().int().nonnegative()
const numbers = z.array(z.number())
const places = z.array(z.int())
const tree = z.object({
  left_children: places,
  right_children: places,
  split_indices: z.array(z.int().nonnegative()),
  split_conditions: z.array(z.number().nullable()),
  default_left: z.array(z.union([z.boolean(), z.literal(0), z.literal(1)])),
  sum_hessian: numbers,
  split_type: places.default([]),
  categories: places.default([]),
  categories_nodes: places.default([]),
  categories_segments: places.default([]),
  categories_sizes: places.default([]),
})
const saved = z.object({
  learner: z.object({
    attributes: z.object({ best_iteration: count.optional() }).default({}),
    feature_names: z.array(z.string()).default([]),
    feature_types: z.array(z.string()).default([]),
    objective: z.object({ name: z.string() }),
    learner_model_param: z.object({
      base_score: z.union([z.string(), z.number()]),
      num_class: count.default(0),
      num_target: count.default(1),
      num_feature: count,
    }),
    gradient_booster: z.object({
      name: z.string(),
      model: z
        .object({ gbtree_model_param: z.object({ num_parallel_tree: count.default(1) }), trees: z.array(tree) })
        .optional(),
    }),
  }),
})

type Read = { base: number; features: ModelFeature[]; trees: Map<number, Source>[]; treesInFile: number }

function readSaved(document: unknown, options: XgboostOptions): Read {
  const { learner } = parse(saved, document)
  const { objective, learner_model_param: param, gradient_booster: booster } = learner
  if (objective.name !== "binary:logistic")
    throw new CannotImport(`the objective is ${objective.name}, not binary:logistic`)
  if (booster.name !== "gbtree" || booster.model === undefined) {
    throw new CannotImport(`the booster is ${booster.name}, not gbtree`)
  }
  if (param.num_class > 1 || param.num_target > 1) throw new CannotImport("the model predicts more than one thing")
  const names = learner.feature_names.length > 0 ? learner.feature_names : unnamed(param.num_feature)
  if (names.length !== param.num_feature) throw new CannotImport("the model has not one name for each feature")
  const features = featuresOf(names, learner.feature_types, options.features)
  const { trees, gbtree_model_param: forest } = booster.model
  const best = learner.attributes.best_iteration
  const taken =
    best === undefined || options.allTrees === true ? trees.length : (best + 1) * Math.max(1, forest.num_parallel_tree)
  return {
    base: logit(baseScoreOf(param.base_score)),
    features,
    trees: trees.slice(0, taken).map(readTree),
    treesInFile: trees.length,
  }
}

/** Since 3.0 the base score is a list with one element. */
function baseScoreOf(written: string | number): number {
  return Math.fround(Number(String(written).replace(/^\[(.*)\]$/, "$1")))
}

function logit(baseScore: number): number {
  if (!(baseScore > 0 && baseScore < 1)) throw new CannotImport("the base score is not between 0 and 1")
  return Math.log(baseScore / (1 - baseScore))
}

const unnamed = (length: number): string[] => Array.from({ length }, (_, place) => `f${place}`)

function readTree(source: z.infer<typeof tree>): Map<number, Source> {
  const categories = new Map<number, number[]>()
  for (const [place, node] of source.categories_nodes.entries()) {
    const start = source.categories_segments[place] ?? 0
    categories.set(node, source.categories.slice(start, start + (source.categories_sizes[place] ?? 0)))
  }
  const nodes = new Map<number, Source>()
  for (const [node, left] of source.left_children.entries()) {
    const condition = source.split_conditions[node] ?? Number.NaN
    const cover = source.sum_hessian[node] ?? Number.NaN
    if (left < 0) {
      nodes.set(node, { cover, split: null, value: Math.fround(condition) })
      continue
    }
    const input = source.split_indices[node] ?? -1
    const right = source.right_children[node] ?? -1
    const isMissingLeft = Boolean(source.default_left[node] ?? 0)
    const isCategory = source.split_type[node] === 1
    // In a saved model, listed categories go right, and values below the threshold go left.
    const split = isCategory
      ? { categories: categories.get(node) ?? [], yes: right, no: left, isMissingYes: !isMissingLeft }
      : { categories: null, yes: left, no: right, isMissingYes: isMissingLeft }
    nodes.set(node, { cover, split: { input, threshold: condition, ...split }, value: 0 })
  }
  return nodes
}

const dumpedNode = z.object({
  nodeid: z.int().nonnegative(),
  leaf: z.number().optional(),
  cover: z.number().optional(),
  split: z.union([z.string(), z.int().transform((place) => `f${place}`)]).optional(),
  split_condition: z.union([z.number(), z.array(z.int().nonnegative())]).optional(),
  yes: z.int().optional(),
  no: z.int().optional(),
  missing: z.int().optional(),
  children: z.array(z.unknown()).optional(),
})

/** The evaluator's limit. */
const DUMP_DEPTH_MAX = 64

function readDump(document: readonly unknown[], options: XgboostOptions): Read {
  if (options.baseScore === undefined) throw new CannotImport("a dump has no base score; give it, or save the model")
  const found = new Map<string, boolean>()
  const trees = document.map((root) => {
    const nodes = new Map<number, Source & { name?: string }>()
    readDumped(root, 0, nodes, found)
    return nodes
  })
  const names = options.features?.map(({ name }) => name) ?? [...found.keys()].sort(byNumber)
  const types = names.map((name) => (found.get(name) === true ? "c" : "float"))
  const features = featuresOf(names, types, options.features)
  const inputs = new Map(names.map((name, input) => [name, input]))
  const placed = trees.map((nodes) => {
    const list = [...nodes].map(([id, node]): [number, Source] => {
      const { name, ...source } = node
      if (source.split === null || name === undefined) return [id, source]
      const input = inputs.get(name)
      if (input === undefined) throw new CannotImport(`the model asks for ${name}, which is not among the features`)
      return [id, { ...source, split: { ...source.split, input } }]
    })
    return new Map(list)
  })
  return { base: logit(Math.fround(options.baseScore)), features, trees: placed, treesInFile: trees.length }
}

/** `f2` before `f10`. */
const byNumber = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : 1)

function readDumped(
  document: unknown,
  depth: number,
  nodes: Map<number, Source & { name?: string }>,
  found: Map<string, boolean>,
): void {
  const node = parse(dumpedNode, document)
  if (depth > DUMP_DEPTH_MAX) throw new CannotImport("a tree is too deep")
  if (nodes.has(node.nodeid)) throw new CannotImport("two nodes of a tree have one number")
  const { cover, split: name, split_condition: condition, yes, no, missing } = node
  if (cover === undefined) throw new CannotImport("the dump has no covers; make it with with_stats=True")
  if (node.leaf !== undefined) {
    nodes.set(node.nodeid, { cover, split: null, value: Math.fround(node.leaf) })
    return
  }
  if (name === undefined || condition === undefined || yes === undefined || no === undefined) {
    throw new CannotImport("a split of the dump is of a kind that is not known here; save the model and import that")
  }
  const categories = Array.isArray(condition) ? condition : null
  const threshold = Array.isArray(condition) ? Number.NaN : condition
  const split = { input: 0, threshold, categories, yes, no, isMissingYes: missing === yes }
  nodes.set(node.nodeid, { cover, split, value: 0, name })
  found.set(name, categories !== null || found.get(name) === true)
  for (const child of node.children ?? []) readDumped(child, depth + 1, nodes, found)
}

function parse<T>(schema: z.ZodType<T>, document: unknown): T {
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new CannotImport(`not a model of XGBoost: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`)
}

/** The features in the model's order, as given, or else as named by the model. */
function featuresOf(
  names: readonly string[],
  types: readonly string[],
  given: readonly ModelFeature[] | undefined,
): ModelFeature[] {
  if (new Set(names).size !== names.length) throw new CannotImport("two features of the model have one name")
  return names.map((name, input) => {
    const isCategory = types[input] === "c"
    const feature = given === undefined ? undefined : given.find((candidate) => candidate.name === name)
    if (given !== undefined && feature === undefined) throw new CannotImport(`the feature ${name} is not given`)
    if (isCategory && feature?.type !== "category") {
      throw new CannotImport(`${name} is a category: give its levels in the order of their codes`)
    }
    if (!isCategory && feature?.type === "category") throw new CannotImport(`${name} is a number in the model`)
    return feature ?? { name, type: "number" }
  })
}

/** The nodes in the artefact's order: from the root, children in pairs after their parent. */
function placeNodes(source: ReadonlyMap<number, Source>, features: readonly ModelFeature[]): PackedNode[] {
  const ids = [0]
  const packed: PackedNode[] = []
  for (let place = 0; place < ids.length; place++) {
    const node = source.get(ids[place] ?? -1)
    if (node === undefined) throw new CannotImport("a tree names a node that is not there")
    const { cover, split, value } = node
    if (split === null) {
      packed.push({ input: LEAF, value, left: 0, missingLeft: false, cover, set: null })
      continue
    }
    const left = ids.length
    ids.push(split.yes, split.no)
    // A tree that names a node twice would not terminate.
    if (ids.length > source.size) throw new CannotImport("a tree names a node twice")
    const { input, threshold, categories, isMissingYes: missingLeft } = split
    const feature = features[input]
    if (categories !== null && feature?.type !== "category") throw new CannotImport("a number is split as a category")
    if (
      feature?.type === "category" &&
      categories?.some((code) => code < 0 || code >= feature.levels.length) !== false
    ) {
      throw new CannotImport(`${feature.name} has codes beyond its levels`)
    }
    const atMost = categories === null ? largestBelow(threshold) : 0
    packed.push({ input, value: atMost, left, missingLeft, cover, set: categories })
  }
  return packed
}
