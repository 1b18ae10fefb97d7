package wake_test

import (
	"testing"
	"testing/synctest"

	"github.com/leftfold/leftfold/internal/wake"
)

func TestNotifyWakesEveryWaiterOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signal wake.Signal
		woken := make(chan int, 8)
		for n := range 8 {
			next := signal.Next()
			go func() { <-next; woken <- n }()
		}
		synctest.Wait()
		if len(woken) != 0 {
			t.Fatal("woken before the change")
		}
		signal.Notify()
		synctest.Wait()
		if len(woken) != 8 {
			t.Fatalf("woke %d of 8", len(woken))
		}
		select {
		case <-signal.Next():
			t.Fatal("the next change has not come yet")
		default:
		}
	})
}

func TestAChangeBetweenLookingAndWaitingIsNotLost(t *testing.T) {
	var signal wake.Signal
	next := signal.Next()
	signal.Notify()
	<-next
}
