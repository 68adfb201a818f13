package contract_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

func TestDerive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	started := contract.MillisOf(now.Add(-90 * time.Minute))
	expire := contract.MillisOf(now.Add(49 * time.Hour))
	f := contract.FoundEnvelope{
		ExternalID: "E-1", Code: "01jd", Status: contract.StatusInProgress, SendingMode: contract.SendImmediate,
		CreatedAt: contract.MillisOf(now.Add(-50 * time.Hour)), ExpireAt: &expire, Type: contract.TypeStandard,
		LoadingMethod: contract.LoadedByWebService, SysGenerator: "SB3", CSostState: "EXC", DMSState: "SNT",
		TrustLevelCode: contract.TrustInternalPDF,
		Documents: []contract.FoundDocument{
			{Size: 10, NPages: 2, DocType: "D", CreatedAt: contract.MillisOf(now.Add(-50 * time.Hour))},
			{Size: 5, NPages: 1, DocType: "R"},
		},
		Process: &contract.FoundProcess{
			Status: contract.ProcessOpen, StartedAt: started,
			Steps: []contract.FoundStep{{StepNum: 0, Status: contract.StepDone}, {StepNum: 1, Status: contract.StepWorking}},
		},
		Details:       []contract.FoundDetail{{Status: contract.LiveWorked}, {Status: contract.LiveNew}, {Status: contract.LiveToConfirm}},
		CommonMessage: &contract.FoundMessage{Text: "a\x07b\nc", AllEnveUsers: true},
	}
	f.Derive(now)
	require.True(t, f.InProgress)
	require.True(t, f.AvailableToWork)
	require.False(t, f.Draft || f.Worked || f.Rejected || f.Expired || f.Deleted || f.Cancel || f.Stored || f.Temp || f.ToReject)
	require.True(t, f.SendingModeImmediate)
	require.False(t, f.SendingModeDraft)
	require.Equal(t, 2, f.DelayDays)
	require.Equal(t, 49, f.HoursToExpiration)
	require.Equal(t, 2, f.DaysToExpiration)
	require.Equal(t, 3, f.TrustLevelID)
	require.Equal(t, []int{2, 1, 3, 2}, []int{f.NDocs, f.DocsWithoutReports, f.NPages, f.PagesWithoutReports})
	require.Equal(t, int64(15), f.Size)
	require.Equal(t, 2, f.Documents[0].DelayDays)
	require.True(t, f.LoadedBySignBook3 && f.ExternalNotifDisabled && f.LoadedMethodKnown && f.SentToDMS && f.ExcludedForCSost)
	require.False(t, f.ExcludedForDMS || f.StoredInCSost)
	require.Equal(t, "01jd", f.ActualEnveID)
	require.True(t, f.HasProcessInstance && f.Process.Open && f.Process.Steps[0].First && f.Process.Steps[0].Ended)
	require.False(t, f.Process.Ended || f.Process.Steps[1].First || f.Process.Steps[1].Ended)
	require.Equal(t, 1, f.Process.EndedStepsCount)
	require.InDelta(t, 1.5, f.Process.TimeElapsedInHour, 0.001)
	require.True(t, f.Details[0].StatusWorked && f.Details[1].StatusNew && f.Details[1].ToWork && f.Details[2].StatusToConfirm)
	require.Equal(t, "ab\nc", f.CommonMessage.TextCleaned)
	require.True(t, f.CommonMessage.CommonMessage)

	again := f
	again.Derive(now)
	require.Equal(t, f, again, "deriving twice changes nothing")

	data, err := json.Marshal(f)
	require.NoError(t, err)
	back, err := contract.DecodeFoundEnvelope(data)
	require.NoError(t, err)
	require.Equal(t, f, back)
}

func TestMillis(t *testing.T) {
	t.Parallel()
	require.True(t, contract.Millis(0).Time().IsZero())
	require.Equal(t, contract.Millis(0), contract.MillisOf(time.Time{}))
	require.Equal(t, "2017-04-28T16:37:13Z", contract.Millis(1493397433000).Time().Format(time.RFC3339))
	require.Equal(t, contract.Millis(1493397433000), contract.MillisOf(contract.Millis(1493397433000).Time()))
}
