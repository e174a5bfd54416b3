/**
 * Texts for people who read the code or a stack trace, which no behaviour depends on: what a rule is for and where it comes
 * from (`why`, `source`), and the messages of errors for broken promises. Stryker imports this file as it is, so it is
 * JavaScript.
 */
const DOCUMENTATION_KEYS = new Set(["why", "source"])

export const strykerPlugins = [
  {
    kind: "Ignore",
    name: "texts-for-developers",
    value: {
      /** A reason why nothing inside this node is mutated; undefined: it is mutated. */
      shouldIgnore({ node, parent }) {
        const isText = node.type === "StringLiteral" || node.type === "TemplateLiteral"
        if (!isText) return undefined
        if (parent?.type === "ObjectProperty" && DOCUMENTATION_KEYS.has(parent.key.name))
          return "documentation of a rule"
        if (parent?.type === "NewExpression" && /Error$/.test(parent.callee.name)) return "message of an error"
        return undefined
      },
    },
  },
]
