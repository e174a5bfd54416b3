/** One case as a story: what happened, what was written to the member, and what comes next. */
import type { FC } from "hono/jsx"
import type { AnswerOf } from "../../../reference/answers/all.ts"
import { CaseStatus, inWords, KIND_NAMES } from "../../parts/cases.tsx"
import { sentenceOf, type TimelineFact } from "../../parts/fact-sentences.ts"
import { NUDGE_TONES } from "../../parts/nudges.ts"
import { Badge, Heading, Live, Panel, PostForm, Table, Time } from "../../parts/parts.tsx"
import { reasonsOf, type ScoreAnswer } from "../../parts/scores.ts"
import { dateTime, money, percent, type Viewer } from "../../viewer.ts"

type CaseAnswer = AnswerOf<"GET /api/cases/:id">
type MessageAnswer = AnswerOf<"GET /api/cases/:id/messages">["data"][number]

export const CasePage: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly one: CaseAnswer
  /** Empty for a viewer who may not see names. */
  readonly messages: readonly MessageAnswer[]
  /** The customer's latest score. */
  readonly score: ScoreAnswer | null
  /** The idempotency key of the form: the same form, sent twice, is one message. */
  readonly formKey: string
}> = ({ viewer, now, one, messages, score, formKey }) => {
  const path = `/dashboard/cases/${encodeURIComponent(one.id)}`
  const canAct = viewer.can("cases:write") && one.status === "open"
  return (
    <>
      <Live name="heading" caseId={one.id}>
        <Heading
          title={`${KIND_NAMES[one.kind]}, ${money(viewer, one.amountMinor, one.currency)}`}
          lead={
            <>
              <CaseStatus status={one.status} /> opened <Time viewer={viewer} at={one.openedAt} /> for{" "}
              <a href={`/dashboard/customers/${encodeURIComponent(one.customerId)}`}>{one.providerCustomerId}</a>
            </>
          }
        />
      </Live>
      <div class="columns">
        <Live name="case">
          <Panel title="The case">
            <dl class="facts">
              <dt>Reason</dt>
              <dd>{inWords(one.declineCode ?? one.cause)}</dd>
              <dt>Failed attempts</dt>
              <dd>{one.failureCount}</dd>
              <dt>Still owed</dt>
              <dd>{money(viewer, one.remainingMinor, one.currency)}</dd>
              <dt>Recovered</dt>
              <dd>{money(viewer, one.recoveredMinor, one.currency)}</dd>
              <dt>Invoice</dt>
              <dd>{one.invoiceId ?? "–"}</dd>
              <dt>Subscription</dt>
              <dd>{one.subscriptionId ?? "–"}</dd>
              <dt>Hold-out</dt>
              <dd>{one.heldOut ? "held out: gets no messages, so that lift can be measured" : "no"}</dd>
              {one.risk !== null && (
                <>
                  <dt>Risk</dt>
                  <dd>{percent(viewer, one.risk.probability)}</dd>
                </>
              )}
              {one.paymentInProgress !== null && (
                <>
                  <dt>Payment in progress</dt>
                  <dd>until {dateTime(viewer, one.paymentInProgress.until)}</dd>
                </>
              )}
            </dl>
          </Panel>
        </Live>
        <Live name="act">
          {canAct && (
            <Panel title="Act">
              <PostForm class="stack" action={`${path}/nudge`}>
                <p class="note">Sends one message now, unless a contact rule forbids it.</p>
                <input type="hidden" name="key" value={formKey} />
                <label>
                  Channel
                  <select name="channel">
                    <option value="">The best that reaches the member</option>
                    <option value="email">E-mail</option>
                    <option value="sms">Text message</option>
                    <option value="push">Push</option>
                    <option value="dm">Direct message</option>
                  </select>
                </label>
                {one.heldOut && (
                  <label class="inline">
                    <input type="checkbox" name="overrideHoldout" value="yes" /> Write although the case is held out
                  </label>
                )}
                <div>
                  <button type="submit">Send a message</button>
                </div>
              </PostForm>
              <details>
                <summary>Close the case</summary>
                <PostForm class="stack" action={`${path}/close`}>
                  <p class="note">
                    The case counts as lost, its planned messages are dropped, and a later payment does not recover it.
                    This cannot be undone.
                  </p>
                  <div>
                    <button class="danger" type="submit">
                      Close as lost
                    </button>
                  </div>
                </PostForm>
              </details>
            </Panel>
          )}
        </Live>
      </div>
      <Live name="history">
        <Panel title="Messages">
          <Table
            caption="Messages of the case"
            rows={one.nudges}
            empty="No message is planned or was sent."
            columns={[
              { title: "Step", cell: ({ step }) => (step === null ? "by hand" : `day ${step}`) },
              { title: "Channel", cell: ({ channel }) => channel },
              { title: "Status", cell: ({ status }) => <Badge tone={NUDGE_TONES[status]}>{status}</Badge> },
              { title: "Why", cell: ({ reason }) => inWords(reason) },
              { title: "Due", cell: ({ dueAt }) => <Time viewer={viewer} at={dueAt} /> },
              { title: "Sent", cell: ({ sentAt }) => <Time viewer={viewer} at={sentAt} /> },
            ]}
          />
          {messages.map((message) => (
            <MessageText viewer={viewer} message={message} />
          ))}
        </Panel>
        {score !== null && <LatestScore viewer={viewer} now={now} score={score} customerId={one.customerId} />}
        <Panel title="Timeline">
          <ol class="story">
            {one.timeline.map((fact) => (
              <li>
                <strong>{sentenceOf(viewer, fact)}</strong>
                <small>
                  <Time viewer={viewer} at={fact.occurredAt} />
                  {isLate(fact) && (
                    <>
                      , known <Time viewer={viewer} at={fact.recordedAt} now={now} />
                    </>
                  )}
                </small>
              </li>
            ))}
          </ol>
        </Panel>
      </Live>
    </>
  )
}

/** The text of a message, folded away. */
const MessageText: FC<{ readonly viewer: Viewer; readonly message: MessageAnswer }> = ({ viewer, message }) => {
  const { step, channel, sentAt, subject, text } = message
  return (
    text !== null && (
      <details>
        <summary>
          {step === null ? "by hand" : `day ${step}`}, {channel}:{" "}
          {sentAt === null ? "as it would be sent now" : `as it was read on ${dateTime(viewer, sentAt)}`}
        </summary>
        {subject !== null && subject !== "" && <h3>{subject}</h3>}
        <p class="message">{text}</p>
      </details>
    )
  )
}

/** How likely the member is to leave, and why. */
const LatestScore: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly score: ScoreAnswer
  readonly customerId: string
}> = ({ viewer, now, score, customerId }) => (
  <Panel title="Score">
    <p>
      <strong>{percent(viewer, score.probability, 1)}</strong> probability of leaving,{" "}
      <Time viewer={viewer} at={score.asOf} now={now} />, because of: {reasonsOf(score)}.{" "}
      <a href={`/dashboard/customers/${encodeURIComponent(customerId)}`}>All scores</a>
    </p>
  </Panel>
)

/** Providers deliver within a minute; a later delivery is shown as late. */
const LATE_MS = 60_000

const isLate = ({ occurredAt, recordedAt }: TimelineFact): boolean =>
  Date.parse(recordedAt) - Date.parse(occurredAt) > LATE_MS
