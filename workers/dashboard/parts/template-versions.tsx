/** The saved versions of a template. */
import type { FC } from "hono/jsx"
import { PARTS } from "../../../shared/domain/messaging/templates/templates.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import type { Viewer } from "../viewer.ts"
import type { AuthorName } from "./authors.ts"
import { Panel, PostForm, Table, Time } from "./parts.tsx"

export const TemplateVersions: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: AnswerOf<"GET /api/templates/:id">
  readonly nameOf: AuthorName
  /** The page of the template, which saves a version again. */
  readonly path: string
  readonly canWrite: boolean
}> = ({ viewer, now, one, nameOf, path, canWrite }) => (
  <Panel title="Versions" note="The timeline of a case shows which version was used.">
    <Table
      caption="Versions"
      rows={one.versions}
      empty="There is none."
      columns={[
        { title: "Version", isNumber: true, cell: ({ version }) => version },
        { title: "Saved", cell: ({ savedAt }) => <Time viewer={viewer} at={savedAt} now={now} /> },
        { title: "By", cell: ({ savedBy }) => nameOf(savedBy) },
        { title: "Words", cell: (saved) => Object.values(saved.words).join(" · ") },
        {
          title: "Compared with",
          cell: ({ experiment }) => experiment?.variants.map(({ name }) => name).join(", ") ?? "–",
        },
        {
          title: "Act",
          cell: (saved) =>
            canWrite && saved.version !== one.version ? (
              <PostForm action={path}>
                <input type="hidden" name="version" value={String(one.version)} />
                {PARTS.map((part) => (
                  <input type="hidden" name={part} value={saved.words[part] ?? ""} />
                ))}
                <button class="quiet" type="submit" name="step" value="save">
                  Go back to it
                </button>
              </PostForm>
            ) : (
              "–"
            ),
        },
      ]}
    />
  </Panel>
)
